"""PyPI duckdb opens the Parquet of a view with the right types, and joins it."""

from datetime import date

import duckdb
from user import setup

files = {name: f"'{setup[name]}'" for name in ["us_core_patients", "us_core_observations"]}


def types(name):
    return {row[0]: row[1] for row in duckdb.sql(f"describe select * from {files[name]}").fetchall()}


patients = types("us_core_patients")
assert patients["patient_key"] == "VARCHAR" and patients["birth_date"] == "DATE", patients
assert patients["is_active"] == "BOOLEAN" and patients["race_code"] == "VARCHAR[]", patients
assert patients["deceased_at"] == "TIMESTAMP WITH TIME ZONE", patients
observations = types("us_core_observations")
assert observations["value_quantity"] == "DOUBLE" and observations["value_integer"] == "INTEGER", observations
assert observations["effective_at"] == "TIMESTAMP WITH TIME ZONE", observations

rows = duckdb.sql(
    f"""select p.birth_date, count(*), min(o.value_quantity), max(epoch_us(o.effective_at)), any_value(o.category)
    from {files["us_core_observations"]} o join {files["us_core_patients"]} p using (patient_key)
    where o.code = '29463-7' group by all"""
).fetchall()
assert rows == [(date(1980, 2, 3), 24, 60.5, 1_677_628_800_000_000, ["vital-signs"])], rows
