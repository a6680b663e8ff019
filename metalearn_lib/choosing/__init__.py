"""Which learner, on which corpus, with how many shots: recipes, the grid and its store.   Chapter 12"""
