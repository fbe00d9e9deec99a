//! Whatever drives, the answer is the same: random questions over a table with statistics, held against the
//! meaning of the predicate.

use super::{Shelf, an_id, book, by, code, date, key, keys, query, range};
use vesta::search::index::{Index, Key};
use vesta::search::predicate::Predicate;
use vesta::search::query::{Query, Total};

/// Always the same numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn holds(index: &Index, predicate: &Predicate) -> bool {
    match predicate {
        Predicate::True => true,
        Predicate::All(parts) => parts.iter().all(|it| holds(index, it)),
        Predicate::Any(parts) => parts.iter().any(|it| holds(index, it)),
        Predicate::Not(inner) => !holds(index, inner),
        Predicate::Key(it) => index.keys.contains(it),
        Predicate::Date { parameter, test } => {
            index.dates.iter().any(|it| it.parameter == *parameter && test.passes(it.low, it.high))
        }
        Predicate::Compartment(patient) => index.patients.contains(patient),
        other => unreachable!("{other:?}"),
    }
}

fn some_key(dice: &mut Dice) -> Key {
    match dice.roll(4) {
        0 => code(&format!("x|{}", dice.roll(40))),
        1 => key("status", ["final", "amended"][usize::from(dice.roll(50) == 0)]),
        2 => key("category", &format!("{}", dice.roll(4))),
        _ => key("identifier", &format!("{}", dice.roll(4000))),
    }
}

fn some_predicate(dice: &mut Dice, depth: u64) -> Predicate {
    match dice.roll(if depth == 0 { 4 } else { 7 }) {
        0 | 1 => Predicate::Key(some_key(dice)),
        2 => {
            let prefix = ["eq", "ge", "lt", "sa", "ne"][usize::try_from(dice.roll(5)).unwrap()];
            let low = i64::try_from(dice.roll(1000)).unwrap();
            date(["date", "value-date"][usize::try_from(dice.roll(2)).unwrap()], prefix, low, low + 100)
        }
        3 => Predicate::Compartment(an_id(&format!("p{}", dice.roll(60)))),
        4 => some_predicate(dice, depth - 1).and(some_predicate(dice, depth - 1)),
        5 => Predicate::any([some_predicate(dice, depth - 1), some_predicate(dice, depth - 1)]),
        _ => some_predicate(dice, depth - 1).negated(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_question_is_answered_alike() {
    let shelf = Shelf::new().await;
    let mut dice = Dice(7);
    let mut shelved: Vec<(String, Index)> = Vec::new();
    for it in 0..6_000_u64 {
        let mut index = keys(&[
            code(&format!("x|{}", dice.roll(40))),
            key("status", if dice.roll(50) == 0 { "amended" } else { "final" }),
            key("category", &format!("{}", dice.roll(4))),
            key("identifier", &format!("{it}")),
        ]);
        if dice.roll(20) == 0 {
            index.keys.push(code(&format!("x|{}", dice.roll(40))));
            index.keys.dedup();
        }
        index.patients = vec![an_id(&format!("p{}", dice.roll(60)))];
        if dice.roll(30) == 0 {
            index.patients.push(an_id(&format!("p{}", 60 + dice.roll(3))));
        }
        if dice.roll(10) != 0 {
            let low = i64::try_from(dice.roll(1000)).unwrap();
            // Some last for weeks.
            let width = if dice.roll(8) == 0 { 4_000_000_000_000 } else { 10 };
            let low = low - if dice.roll(2) == 0 { width } else { 0 };
            index.dates = vec![range("date", low, low + width), range("value-date", low / 2, low)];
        }
        shelved.push((format!("{it}"), index));
    }
    for some in shelved.chunks(1000) {
        shelf.put(some.iter().map(|(id, it)| book(&format!("Observation/{id}"), it.clone())).collect()).await;
    }
    shelf.database.superuser().await.batch_execute("vacuum analyze").await.unwrap();
    for round in 0..250 {
        let filter = some_predicate(&mut dice, 2);
        let mut expected: Vec<&(String, Index)> =
            shelved.iter().filter(|(_, it)| holds(it, &filter)).collect();
        let count = u32::try_from(1 + dice.roll(30)).unwrap();
        let sort = match round % 3 {
            0 => vec![],
            1 => vec![by("date", false)],
            _ => vec![by("date", true)],
        };
        let begins = |it: &Index| it.dates.iter().find(|it| &*it.parameter == "date").map(|it| it.low);
        match round % 3 {
            0 => {}
            1 => expected.sort_by_key(|(_, it)| begins(it).unwrap_or(i64::MAX)),
            _ => expected.sort_by_key(|(_, it)| begins(it).map_or(i64::MAX, |it| -it)),
        }
        let mut query = Query { sort, count, total: Total::Accurate, ..query("Observation", filter.clone()) };
        let mut found = Vec::new();
        for _ in 0..3 {
            let page = shelf.search(&query).await;
            assert_eq!(page.total, Some(u64::try_from(expected.len()).unwrap()), "{filter:?}");
            found.extend(super::ids(&page));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        let seen = expected.len().min(3 * usize::try_from(count).unwrap());
        let expected: Vec<&str> = expected.iter().take(seen).map(|(id, _)| id.as_str()).collect();
        assert_eq!(found, expected, "{filter:?} {:?}", query.sort);
    }
}
