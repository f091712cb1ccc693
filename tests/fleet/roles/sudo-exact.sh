# An unprivileged login that may run these commands as root, to the letter, and no other.
login auditor
cat > /etc/sudoers.d/fleetscan <<'RULES'
auditor ALL=(root) NOPASSWD: /usr/bin/cat /etc/shadow
auditor ALL=(root) NOPASSWD: /usr/sbin/sshd -T
auditor ALL=(root) NOPASSWD: /usr/bin/ss -H -tulnp
RULES
chmod 440 /etc/sudoers.d/fleetscan
