"""Learning on one's own: the folder of own copies, progress, quizzes (`metalearn lab`, `progress`, `solution`)."""
