"""The words of questions as tables: metrics, dimensions, filters, goals, periods, places."""
