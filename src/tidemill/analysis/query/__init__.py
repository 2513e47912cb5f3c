"""What a stage's query computes, column by column, told from its plan before any data moves."""
