const groups = {
  title: "Consumer groups",
};

export default groups;
