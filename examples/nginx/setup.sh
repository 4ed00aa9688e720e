#!/bin/sh
# Lays the example out in a folder: the paths in its files become that folder's, and the files that
# keywheel will write get a content with which nginx starts and accepts nobody.
set -eu

[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

for file in nginx.conf keywheel.toml agent.toml; do
  sed "s|/srv/keywheel-nginx|$folder|g" "$here/$file" >"$folder/$file"
done
cp "$here/upstream.py" "$folder/"

cd "$folder"
umask 077
echo 'map $http_x_api_key $api_key_accepted { default 0; }' >accept.conf
echo 'set $backend_key ""; set $backend_key_fp "";' >one-slot.conf
echo '{"keys": []}' >app.json
