//! `_pretty=true`: line breaks and indents, and not a byte of a value changed.

/// Compact or other JSON text, indented.
pub(crate) fn pretty(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut rest = text.char_indices().peekable();
    while let Some((start, letter)) = rest.next() {
        match letter {
            '"' => {
                let mut end = text.len();
                let mut is_escaped = false;
                for (at, letter) in rest.by_ref() {
                    if letter == '"' && !is_escaped {
                        end = at + 1;
                        break;
                    }
                    is_escaped = letter == '\\' && !is_escaped;
                }
                out.push_str(text.get(start..end).unwrap_or_default());
            }
            '{' | '[' => {
                out.push(letter);
                while rest.next_if(|(_, it)| it.is_ascii_whitespace()).is_some() {}
                match rest.next_if(|(_, it)| matches!(it, '}' | ']')) {
                    Some((_, closing)) => out.push(closing),
                    None => {
                        depth += 1;
                        break_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => out.push(letter),
        }
    }
    out.push('\n');
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indents_and_keeps_values() {
        let text = r#"{"a":[1.00,{ }],"b":"x, {\"y\\\": 1}" , "c":[ ],"d":{"e":null}}"#;
        let expected = "{\n  \"a\": [\n    1.00,\n    {}\n  ],\n  \"b\": \"x, {\\\"y\\\\\\\": 1}\",\n  \"c\": [],\n  \"d\": {\n    \"e\": null\n  }\n}\n";
        assert_eq!(pretty(text), expected);
        let before: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&pretty(text)).unwrap(), before);
    }
}
