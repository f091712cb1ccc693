# Loses its network while it lists its accounts: some answers are through by then.
login root
slow getent 9
