#!/bin/sh
# Fills alertmanager.yml in from the environment, then runs Alertmanager: alertmanager.sh PROGRAM ARGUMENT...
set -eu
umask 077
folder=$(dirname "$0")
config=${ALERTMANAGER_CONFIG:-/alertmanager/config.yml}
password=${SMTP_PASSWORD_FILE:-/run/secrets/smtp_password}
user=${OPENGENOME_SMTP_USER:-}
tls=true
if [ "${OPENGENOME_SMTP_SECURITY:-}" = none ]; then tls=false; fi
fill() { printf '%s' "$1" | sed 's/[\\&|]/\\&/g'; }
sed -e '/^ *#/d' \
  -e "s|SMTP_SERVER|$(fill "${OPENGENOME_SMTP_SERVER:-localhost:25}")|" \
  -e "s|MAIL_FROM|$(fill "${OPENGENOME_MAIL_FROM:-opengenome@localhost}")|" \
  -e "s|MAIL_TO|$(fill "${OPENGENOME_MAIL_TO:-root@localhost}")|" \
  -e "s|SMTP_TLS|$tls|" \
  -e "s|EXPORTER|$(fill "${EXPORTER:-http://metrics:3002}")|" \
  -e "s|SMTP_USER|$(fill "$user")|" \
  -e "s|SMTP_PASSWORD_FILE|$(fill "$password")|" \
  "$folder/alertmanager.yml" > "$config"
if [ -z "$user" ]; then
  sed -i '/smtp_auth/d' "$config"
fi
# Without an address there is no mail.
if [ -z "${OPENGENOME_MAIL_TO:-}" ]; then
  sed -i '/email_configs/,/send_resolved/d' "$config"
fi
exec "$@" --config.file="$config"
