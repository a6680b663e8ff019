"""Measured, not tested: learners x corpora, episodes a second, the meta-step beside others (`make benchmark`)."""
