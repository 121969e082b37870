"""Statistics and decisions on arrays, without files, clocks or plug-ins."""
