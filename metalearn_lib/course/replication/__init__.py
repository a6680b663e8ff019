"""Do the claims of a chapter hold on other seeds? `metalearn replicate` measures it, a chapter can show it."""
