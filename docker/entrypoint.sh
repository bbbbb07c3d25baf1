#!/bin/sh
# Writes the secrets, which come as files, into the files that Spark and PostgreSQL's client read, then runs the
# command. They lie in memory, for this user's eyes only, and at places that the image's environment names: so no
# secret stands in an environment or on a command line, and what `docker compose exec` starts finds them too.
#
# A container without secrets runs as it is: it finds the files in a volume, or has no use for them.
set -eu
umask 077

secrets=/run/secrets
private=/run/opengenome

if [ -f "$secrets/postgres_password" ]; then
  # The file's fields are host, port, database, user and password; a colon or backslash inside one is escaped.
  printf '*:*:*:*:%s\n' "$(sed 's/[\\:]/\\&/g' "$secrets/postgres_password")" > "$private/pgpass"
fi

if [ -f "$secrets/spark_secret" ]; then
  mkdir -p "$private/spark"
  cp /opt/opengenome/docker/spark/* "$private/spark/"
  printf 'spark.authenticate.secret %s\n' "$(cat "$secrets/spark_secret")" >> "$private/spark/spark-defaults.conf"
fi

exec "$@"
