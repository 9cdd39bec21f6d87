const topics = {
  title: "Topics",
};

export default topics;
