const topic = {
  title: "Topic",
};

export default topic;
