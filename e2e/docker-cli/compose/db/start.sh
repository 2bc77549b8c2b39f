#!/bin/sh
# Makes the cluster the first time, and is the server from then on.
set -e
if [ ! -f "$PGDATA/PG_VERSION" ]; then
  initdb --username=postgres --auth=trust --encoding=UTF8 --no-locale "$PGDATA"
  echo "host all all all trust" >> "$PGDATA/pg_hba.conf"
fi
exec postgres -D "$PGDATA" -h '*' -k /run/postgresql
