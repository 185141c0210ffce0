package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/tinytest"
)

func TestAPlanIsPrintedWithAllThatWasDrawn(t *testing.T) {
	p := &plan{
		topology: relayTopology, limit: time.Minute, network: tinytest.Conditions{Latency: time.Second, Buffer: 7},
		relay: relayPlan{way: bySend, near: optionsPlan{inbox: 3}},
		clients: []*clientPlan{{name: "client-0", dialer: &endPlan{
			name: "client-0", number: 1, options: optionsPlan{grace: -1},
			sender: senderPlan{producers: []producerPlan{{think: time.Second, patience: time.Minute, messages: []messagePlan{
				{way: bySendFrom, size: 12, failAt: 3, pause: time.Millisecond}, {way: byOutbox, size: 0, failAt: -1}}}}},
			receiver: receiverPlan{how: byRange, stopAfter: -1},
			finish:   finishPlan{kind: finishClose, at: time.Hour},
		}, served: &endPlan{name: "served", sender: senderPlan{echo: true, way: bySend}}}},
		faults: []faultPlan{{at: time.Second, kind: faultConditions, conditions: tinytest.Conditions{Jitter: time.Second}}},
	}
	text := p.String()
	for _, want := range []string{
		"plan: relay, wild; all ends after 1m0s\n",
		"  network: Latency 1s, Buffer 7\n",
		"  server: -\n",
		"  relay: way Send, near {inbox 3}\n",
		"  client-0 dials after 0s\n",
		"    client-0, whose messages are 1/...\n",
		"      options: grace -1ns\n",
		"      sends every 1s with 1m0s for each: 12 by SendFrom with pauses of 1ms failing at 3, 0 by Outbox\n",
		"      sends back what it receives by Send\n",
		"      receives: how range Inbox, stopAfter -1\n",
		"      ends it: kind Close, at 1h0m0s\n",
		"  fault: at 1s, kind conditions, conditions {Jitter 1s}\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}
