const timers = {
  title: "Timers",
};

export default timers;
