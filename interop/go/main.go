// The official Go client, unchanged. See ../README.md for arguments and events.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	mq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
)

const (
	messageGroups = 4
	priorities    = 4
	invisible     = 15 * time.Second
	await         = 5 * time.Second
)

var tags = []string{"a", "b", "c"}

type options struct {
	endpoint, history, client string
	rate, seconds             float64
}

// role is one stream of this run: what it writes and when it stops.
type role struct {
	options
	history *history
	stopped context.Context
	stream  string
}

// config is signed if the environment has a user.
func (r *role) config(group string) *mq.Config {
	user := &credentials.SessionCredentials{
		AccessKey: os.Getenv("INTEROP_ACCESS_KEY"), AccessSecret: os.Getenv("INTEROP_SECRET_KEY"),
	}
	return &mq.Config{Endpoint: r.endpoint, ConsumerGroup: group, Credentials: user}
}

func (r *role) pause(pause time.Duration) {
	select {
	case <-r.stopped.Done():
	case <-time.After(pause):
	}
}

func (r *role) ready() { r.history.write(event{"op": "ready", "stream": r.stream}) }

func (r *role) build(mode, kind, topic string, n int) (*mq.Message, event) {
	key := fmt.Sprintf("%s-%s-%s-%d", r.client, mode, kind, n)
	tag := tags[n%len(tags)]
	message := &mq.Message{Topic: topic, Body: []byte("body of " + key)}
	message.SetTag(tag)
	message.SetKeys(key)
	message.AddProperty("origin", r.client)
	message.AddProperty("n", fmt.Sprint(n))
	sent := event{"op": "send", "stream": r.stream, "topic": topic, "key": key, "tag": tag, "message_group": nil}
	if kind == "fifo" {
		group := fmt.Sprintf("group-%d", n%messageGroups)
		message.SetMessageGroup(group)
		sent["message_group"] = group
	}
	if kind == "priority" {
		// Fails only together with what this message does not have.
		_ = message.SetPriority(int32(1 + n%priorities))
	}
	return message, sent
}

func (r *role) recordSend(sent event, start int64, receipts []*mq.SendReceipt, err error) {
	sent["start_ns"], sent["end_ns"], sent["ok"] = start, time.Now().UnixNano(), err == nil
	if err != nil {
		sent["error"] = err.Error()
	} else {
		sent["message_id"], sent["offset"] = receipts[0].MessageID, receipts[0].Offset
	}
	r.history.write(sent)
}

func (r *role) produce(mode, kind, topic string) error {
	producer, err := mq.NewProducer(r.config(""), mq.WithTopics(topic))
	if err != nil {
		return err
	}
	if err := producer.Start(); err != nil {
		return err
	}
	r.ready()
	var inFlight sync.WaitGroup
	for n := 0; r.stopped.Err() == nil; n++ {
		message, sent := r.build(mode, kind, topic, n)
		start := time.Now().UnixNano()
		if mode == "async" {
			inFlight.Add(1)
			producer.SendAsync(context.Background(), message, func(_ context.Context, receipts []*mq.SendReceipt, err error) {
				r.recordSend(sent, start, receipts, err)
				inFlight.Done()
			})
		} else {
			receipts, err := producer.Send(context.Background(), message)
			r.recordSend(sent, start, receipts, err)
		}
		r.pause(time.Duration(float64(time.Second) / r.rate))
	}
	inFlight.Wait()
	return producer.GracefulStop()
}

func text(value *string) any {
	if value == nil {
		return nil
	}
	return *value
}

func (r *role) recordDelivery(group string, message *mq.MessageView) {
	r.history.write(event{
		"op": "deliver", "stream": r.stream, "group": group, "topic": message.GetTopic(),
		"start_ns": time.Now().UnixNano(), "body": string(message.GetBody()), "tag": text(message.GetTag()),
		"keys": message.GetKeys(), "properties": message.GetProperties(),
		"message_group": text(message.GetMessageGroup()), "message_id": message.GetMessageId(),
		"attempt": message.GetDeliveryAttempt(),
	})
}

func expression(filter string) *mq.FilterExpression {
	if sql, found := strings.CutPrefix(filter, "sql "); found {
		return mq.NewFilterExpressionWithType(sql, mq.SQL92)
	}
	return mq.NewFilterExpression(filter)
}

func (r *role) push(topic, group, filter string) error {
	consumer, err := mq.NewPushConsumer(r.config(group),
		mq.WithPushAwaitDuration(await),
		mq.WithPushSubscriptionExpressions(map[string]*mq.FilterExpression{topic: expression(filter)}),
		mq.WithPushMessageListener(&mq.FuncMessageListener{Consume: func(message *mq.MessageView) mq.ConsumerResult {
			r.recordDelivery(group, message)
			return mq.SUCCESS
		}}))
	if err != nil {
		return err
	}
	if err := consumer.Start(); err != nil {
		return err
	}
	r.ready()
	<-r.stopped.Done()
	return consumer.GracefulStop()
}

func (r *role) simple(topic, group, filter string) error {
	consumer, err := mq.NewSimpleConsumer(r.config(group),
		mq.WithSimpleAwaitDuration(await),
		mq.WithSimpleSubscriptionExpressions(map[string]*mq.FilterExpression{topic: expression(filter)}))
	if err != nil {
		return err
	}
	if err := consumer.Start(); err != nil {
		return err
	}
	r.ready()
	for r.stopped.Err() == nil {
		start := time.Now().UnixNano()
		messages, err := consumer.Receive(context.Background(), 32, invisible)
		// "Nothing there" is an error to this client.
		if status, ok := mq.AsErrRpcStatus(err); ok && status.Code == int32(v2.Code_MESSAGE_NOT_FOUND) {
			continue
		}
		if err != nil {
			r.history.write(event{
				"op": "receive", "stream": r.stream, "group": group, "start_ns": start,
				"end_ns": time.Now().UnixNano(), "ok": false, "error": err.Error(),
			})
			r.pause(100 * time.Millisecond)
			continue
		}
		for _, message := range messages {
			r.recordDelivery(group, message)
		}
		for _, message := range messages {
			r.ack(consumer, group, message)
		}
	}
	return consumer.GracefulStop()
}

func (r *role) ack(consumer mq.SimpleConsumer, group string, message *mq.MessageView) {
	start := time.Now().UnixNano()
	err := consumer.Ack(context.Background(), message)
	acked := event{
		"op": "ack", "stream": r.stream, "group": group, "start_ns": start, "end_ns": time.Now().UnixNano(),
		"ok": err == nil, "message_id": message.GetMessageId(),
	}
	if err != nil {
		acked["error"] = err.Error()
	}
	r.history.write(acked)
}

// run records how a role died: silence would look like success.
func (r *role) run() {
	parts := strings.Split(r.stream, ":")
	var err error
	switch {
	case parts[0] == "produce" && len(parts) == 4:
		err = r.produce(parts[1], parts[2], parts[3])
	case parts[0] == "push" && len(parts) == 5:
		err = r.push(parts[2], parts[3], parts[4])
	case parts[0] == "simple" && len(parts) == 5:
		err = r.simple(parts[2], parts[3], parts[4])
	default:
		err = fmt.Errorf("this client cannot do %s", r.stream)
	}
	if err != nil {
		r.history.write(event{"op": "died", "stream": r.stream, "error": err.Error()})
	}
}

func main() {
	var o options
	flag.StringVar(&o.endpoint, "endpoint", "", "host:port")
	flag.StringVar(&o.history, "history", "", "file to append events to")
	flag.StringVar(&o.client, "client", "go", "name in events and keys")
	flag.Float64Var(&o.rate, "rate", 20, "messages a second and producer")
	flag.Float64Var(&o.seconds, "seconds", 0, "0: until standard input ends")
	var f features
	flag.StringVar(&f.delay, "delay", "", "features: topic of delayed messages")
	flag.StringVar(&f.transaction, "transaction", "", "features: topic of transactions")
	flag.StringVar(&f.lite, "lite", "", "features: topic of lite topics")
	flag.StringVar(&f.group, "group", "", "features: what groups begin with")
	flag.Parse()
	mq.ResetLogger()
	if f.delay != "" {
		f.endpoint = o.endpoint
		runFeatures(f)
	}

	h := openHistory(o.history, o.client)
	stopped, stop := context.WithCancel(context.Background())
	var roles sync.WaitGroup
	for _, stream := range flag.Args() {
		r := &role{options: o, history: h, stopped: stopped, stream: stream}
		roles.Add(1)
		go func() {
			defer roles.Done()
			r.run()
		}()
	}
	if o.seconds > 0 {
		time.Sleep(time.Duration(o.seconds * float64(time.Second)))
	} else {
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	stop()
	done := make(chan struct{})
	go func() { roles.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(40 * time.Second):
	}
	h.write(event{"op": "done"})
}
