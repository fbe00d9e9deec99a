drop function refresh_statistics(text);
