package main

// int80 makes a system call through the gate of 32-bit programs, whose numbers
// mean other calls.
func int80(number uint32) int32
