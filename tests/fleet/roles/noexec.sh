# Two logins with every right on paper: what auditor runs may start no other program, and typist may use sudo on a terminal only.
login auditor
login typist
cat > /etc/sudoers.d/fleetscan <<'RULES'
Defaults:auditor noexec
Defaults:typist requiretty
auditor ALL=(ALL) NOPASSWD: ALL
typist ALL=(ALL) NOPASSWD: ALL
RULES
chmod 440 /etc/sudoers.d/fleetscan
