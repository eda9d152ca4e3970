//go:build wasip1

// Command spin never ends by itself.
package main

func main() {
	for {
	}
}
