// The bench's bridge on bridgev2, as its own documentation builds one: mxmain runs it, a connector for the bench's
// network stands in network.go. It stands beside tests/bench/bridge, the same connector on Landbridge's framework.
package main

import (
	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"
)

func main() {
	m := mxmain.BridgeMain{
		Name:        "landbridge-bench-bridgev2",
		Description: "A bridge to the bench's network, to be compared with",
		Version:     "0.1.0",
		Connector:   &Connector{},
	}
	m.Run()
}
