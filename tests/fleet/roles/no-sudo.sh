# An unprivileged login that sudo knows nothing of.
login auditor
