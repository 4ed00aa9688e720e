// Reads tokens, one a line, and says of each whether go-oidc accepts it. Arguments: the address of
// the JWK set; its caches have no time that could be set.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
)

func main() {
	ctx := context.Background()
	keys := oidc.NewRemoteKeySet(ctx, os.Args[1])
	config := &oidc.Config{ClientID: "app", SupportedSigningAlgs: []string{"ES256"}}
	verifier := oidc.NewVerifier("https://issuer.example", keys, config)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if _, err := verifier.Verify(ctx, lines.Text()); err != nil {
			fmt.Println("fail", err)
		} else {
			fmt.Println("ok")
		}
	}
}
