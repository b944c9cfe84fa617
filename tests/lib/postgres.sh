# A Postgres cluster of our own for the tests, in a folder of its own, gone at the end.
# shellcheck shell=bash

postgres_start() {
    local bin folder port run=()
    need_command /usr/lib/postgresql/15/bin/initdb postgresql-15
    bin=/usr/lib/postgresql/15/bin
    folder=$(mktemp -d /tmp/landbridge-postgres.XXXXXX)
    port=$(python3 tests/lib/free_port.py)
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres "$folder"
        run=(setpriv --reuid=postgres --regid=postgres --init-groups)
    fi
    POSTGRES_FOLDER=$folder
    # Durability is what the crash suites test, on real processes; here it only costs time.
    (cd "$folder" && "${run[@]}" "$bin/initdb" -D "$folder/data" -U landbridge -A trust -E UTF8 --locale=C -N >/dev/null)
    (cd "$folder" && exec "${run[@]}" "$bin/postgres" -D "$folder/data" -p "$port" -k "$folder" \
        -c listen_addresses=127.0.0.1 -c max_connections=1000 -c fsync=off -c shared_buffers=128MB \
        >"$folder/log" 2>&1) &
    POSTGRES_PID=$!
    trap postgres_stop EXIT
    for _ in $(seq 100); do
        "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" && break
        sleep 0.1
    done
    "${run[@]}" "$bin/createdb" -h 127.0.0.1 -p "$port" -U landbridge landbridge
    POSTGRES_URL=postgres://landbridge@127.0.0.1:$port/landbridge
}

postgres_stop() {
    kill -INT "$POSTGRES_PID" 2>/dev/null || true
    wait "$POSTGRES_PID" 2>/dev/null || true
    rm -rf "$POSTGRES_FOLDER"
}
