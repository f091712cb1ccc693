# doas and no sudo. auditor gets the rules that `fleetscan sudoers --doas` prints, and no others; boss may run anything; root, to compare with.
login auditor
login boss
login root
printf 'permit nopass boss\n' > /etc/doas.conf
chmod 600 /etc/doas.conf
