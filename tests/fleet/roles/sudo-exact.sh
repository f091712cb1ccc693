# An unprivileged login that gets the rules that `fleetscan sudoers` prints, and no others; root, to compare with.
login auditor
login root
