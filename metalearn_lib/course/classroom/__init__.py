"""The class kit: chapters as assignments of an nbgrader course, and what is handed in as grades and feedback."""
