#!/bin/sh
# Writes the secrets into the files that Spark, PostgreSQL's client and the Hub's client read, then runs the command.
# The files lie in memory, readable by this user only, at paths of the image's environment. So no secret stands on a
# command line or in `docker inspect`, and commands of `docker compose exec` find the secrets too.
#
# A container without secrets runs unchanged: it finds the files in a volume, or does not need them.
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

# On Kubernetes, Spark's settings come from a ConfigMap. The pod's name makes executors end with their driver, and gives
# them names of their own, at most 47 characters before Spark's number.
if [ -d /etc/opengenome/spark ]; then
  mkdir -p "$private/spark"
  cp /etc/opengenome/spark/* "$private/spark/"
  prefix=$(printf '%s' "$HOSTNAME" | tail -c 47 | sed 's/^-*//')
  printf 'spark.kubernetes.%s\n' "driver.pod.name $HOSTNAME" "executor.podNamePrefix $prefix" \
    >> "$private/spark/spark-defaults.conf"
fi

if [ -f "$secrets/hub_token" ]; then
  install -m 600 "$secrets/hub_token" "$private/hub_token"
fi

# The one exception: clients of object stores read their keys from the environment only.
if [ -f "$secrets/object_store_keys" ]; then
  install -m 600 "$secrets/object_store_keys" "$private/object_store_keys"
fi
if [ -f "$private/object_store_keys" ]; then
  set -a
  . "$private/object_store_keys"
  set +a
fi

umask 022
exec "$@"
