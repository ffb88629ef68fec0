"""What admin, customer and field pages share: sign-in, errors, words, dates, layouts."""
