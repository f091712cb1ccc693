# An unprivileged login that may run these commands as root, as `fleetscan plan` shows them to the letter, and no other.
login auditor
cat > /etc/sudoers.d/fleetscan <<'RULES'
auditor ALL=(root) NOPASSWD: /usr/bin/grep -H . /etc/shadow /etc/gshadow
auditor ALL=(root) NOPASSWD: /usr/sbin/sshd -T
RULES
chmod 440 /etc/sudoers.d/fleetscan
