"""The chapters as a static site (`make book`)."""
