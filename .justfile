# What is done every day. `just --list` shows it.

# Dev mode: https://127.0.0.1:8443/fhir
run *arguments:
    cargo run --release -- {{arguments}}

# Everything a change must pass
check:
    .ci/run

# A token for scripts, in dev mode
token client="demo-backend":
    cargo run --release --quiet -- token --client {{client}}

# The database of dev mode
db:
    psql -h "${VESTA_DATA:-$HOME/.local/share/vesta}/socket" -U vesta_owner vesta
