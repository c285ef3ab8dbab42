"""The process inside a Job: reads an assignment, moves git data, leaves a report."""
