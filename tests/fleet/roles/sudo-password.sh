# An unprivileged login that may run anything by sudo, with its password.
login auditor
printf 'auditor:%s\n' "${FLEET_PASSWORD:?the password of the login}" | chpasswd
printf 'auditor ALL=(ALL) ALL\n' > /etc/sudoers.d/auditor
chmod 440 /etc/sudoers.d/auditor
