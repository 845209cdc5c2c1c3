"""Made by `generate.sh`; not for editing."""
