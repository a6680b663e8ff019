"""Executing chapters: which have changed, how many at once, where results go (`metalearn run`)."""
