#!/bin/sh
# Everything that an answer may hold.
[ "$1" = --list ] || exit 3
cat <<'X'
{
  "list-of-hosts": ["h1", "h2"],
  "web": {"hosts": ["h2", "h3", "name with spaces", "h4:22", "UPPER", "h[1:3]"], "vars": {"v": {"deep": [1, "x", null]}, "ansible_group_priority": 3, "w": "web"}},
  "parent": {"children": ["web", "never-mentioned", "list-of-hosts"], "vars": {"w": "parent", "q": 1}},
  "empty": {"hosts": []},
  "host-as-group": {"a": 1},
  "all": {"hosts": ["only-in-all"], "vars": {"everywhere": true}},
  "ungrouped": {"hosts": ["h1", "loner"]},
  "_meta": {"hostvars": {
    "h1": {"x": 1, "w": "host", "ansible_host": "192.0.2.1"},
    "name with spaces": {"ansible_host": "192.0.2.9"},
    "in-no-group": {"x": 2},
    "h3": {"sealed": {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n6231"}},
    "loner": {}
  }}
}
X
