const group = {
  title: "Consumer group",
};

export default group;
