# Two logins with every right on paper: what auditor runs may start no other program, and operator may use sudo on a terminal only.
login auditor
login operator
cat > /etc/sudoers.d/fleetscan <<'RULES'
Defaults:auditor noexec
Defaults:operator requiretty
auditor ALL=(ALL) NOPASSWD: ALL
operator ALL=(ALL) NOPASSWD: ALL
RULES
chmod 440 /etc/sudoers.d/fleetscan
