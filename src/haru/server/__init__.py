"""The running process: what is open, which tasks run, what each request goes to, and the processes beside it."""
