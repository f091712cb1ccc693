#!/bin/sh
# A program as an inventory, as Ansible runs it: `--list` prints groups, and under `_meta` the variables of all hosts. A real one asks a cloud or a database.
#
#   fleetscan scan -i inventory/dynamic.sh
set -eu
[ "${1-}" = --list ] || { echo "usage: $0 --list" >&2; exit 2; }
cat <<'JSON'
{
  "web": {"hosts": ["i-0a1.example.com", "i-0a2.example.com"], "vars": {"ansible_user": "admin"}},
  "database": ["i-0d1.example.com"],
  "production": {"children": ["web", "database"]},
  "_meta": {
    "hostvars": {
      "i-0a1.example.com": {"ansible_host": "192.0.2.101", "zone": "a"},
      "i-0a2.example.com": {"ansible_host": "192.0.2.102", "zone": "b"},
      "i-0d1.example.com": {"ansible_host": "192.0.2.103", "ansible_become": true}
    }
  }
}
JSON
