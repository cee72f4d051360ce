#!/bin/sh
# The first start makes the database; each runs the server.
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --auth=trust >/dev/null
    echo "host all all all trust" >> "$PGDATA/pg_hba.conf"
    pg_ctl --silent --wait start -o "-c listen_addresses=''"
    createdb words
    psql --quiet --dbname=words --file=/words.sql
    pg_ctl --silent --wait stop
fi
exec "$@"
