#!/bin/sh
cat <<X
{"cloud": {"hosts": ["h1", "h5"], "vars": {"c": 1}}, "_meta": {"hostvars": {"h1": {"o": "cloud"}, "h5": {}}}}
X
