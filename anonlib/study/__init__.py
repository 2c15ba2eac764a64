"""The user study: questions, answers and their statistics (section 5.5)."""
