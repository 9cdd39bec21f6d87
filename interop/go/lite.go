// Lite topics with the official Go client's push consumer for them.
package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	mq "github.com/apache/rocketmq-clients/golang/v5"
)

const (
	liteQuota         = 1000
	liteSlack         = 10
	liteQuotaExceeded = 42902
	liteSilence       = 2 * time.Second
)

type liteArrivals struct {
	lock    sync.Mutex
	arrived map[string]bool
}

func (a *liteArrivals) consume(view *mq.MessageView) mq.ConsumerResult {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.arrived[view.GetLiteTopic()+" "+string(view.GetBody())] = true
	return mq.SUCCESS
}

func (a *liteArrivals) seen() map[string]bool {
	a.lock.Lock()
	defer a.lock.Unlock()
	seen := map[string]bool{}
	for key := range a.arrived {
		seen[key] = true
	}
	return seen
}

// exactly waits until all that is wanted came, and then whether anything else does.
func (a *liteArrivals) exactly(wanted ...string) error {
	all := map[string]bool{}
	for _, key := range wanted {
		all[key] = true
	}
	deadline := time.Now().Add(featurePatience)
	for !reflect.DeepEqual(a.seen(), all) && len(a.seen()) < len(all) && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(liteSilence)
	if seen := a.seen(); !reflect.DeepEqual(seen, all) {
		return fmt.Errorf("lite topics: %v came, not %v", seen, all)
	}
	return nil
}

func (f *features) sendLite(producer mq.Producer, body string, names ...string) error {
	for _, name := range names {
		message := &mq.Message{Topic: f.lite, Body: []byte(body)}
		message.SetLiteTopic(name)
		if _, err := producer.Send(context.Background(), message); err != nil {
			return fmt.Errorf("lite topic %s: %w", name, err)
		}
	}
	return nil
}

func (f *features) liteTopics(producer mq.Producer) error {
	if err := f.sendLite(producer, "begin", "one", "two", "three"); err != nil {
		return err
	}
	arrivals := &liteArrivals{arrived: map[string]bool{}}
	consumer, err := mq.NewLitePushConsumer(f.config(f.group+"-lite-push"),
		mq.NewLitePushConsumerConfig(f.lite, invisible),
		mq.WithPushAwaitDuration(await),
		mq.WithPushMessageListener(&mq.FuncMessageListener{Consume: arrivals.consume}))
	if err != nil {
		return err
	}
	if err := consumer.Start(); err != nil {
		return err
	}
	if err := consumer.SubscribeLite("one"); err != nil {
		return err
	}
	if err := arrivals.exactly("one begin"); err != nil {
		return err
	}
	if err := consumer.SubscribeLite("two"); err != nil {
		return err
	}
	if err := arrivals.exactly("one begin", "two begin"); err != nil {
		return err
	}
	if err := consumer.UnSubscribeLite("one"); err != nil {
		return err
	}
	if err := f.sendLite(producer, "end", "one", "two", "three"); err != nil {
		return err
	}
	if err := arrivals.exactly("one begin", "two begin", "two end"); err != nil {
		return err
	}
	// One is subscribed to already.
	for number := 1; number < liteQuota; number++ {
		if err := consumer.SubscribeLite(fmt.Sprintf("more-%d", number)); err != nil {
			return fmt.Errorf("lite topic %d: %w", number, err)
		}
	}
	return refusedBeyondQuota(consumer)
}

// refusedBeyondQuota wants a refusal for one lite topic too many. Every 30 s this client says again which ones it reads, and
// what it subscribes to in that moment may be missing there: then one more must be refused.
func refusedBeyondQuota(consumer mq.LitePushConsumer) error {
	var err error
	for number := 0; number < liteSlack; number++ {
		err = consumer.SubscribeLite(fmt.Sprintf("too-many-%d", number))
		var status *mq.ErrRpcStatus
		if errors.As(err, &status) && status.Code == liteQuotaExceeded {
			return nil
		}
	}
	return fmt.Errorf("%d lite topics: %v", liteQuota+liteSlack, err)
}
