// Command passer passes a label of internal/disk again and again and counts.
package main

import (
	"fmt"

	"github.com/signetfs/signet/internal/disk"
)

func main() {
	for i := 1; i <= 5; i++ {
		disk.Step("test.passed")
		fmt.Println(i)
	}
}
