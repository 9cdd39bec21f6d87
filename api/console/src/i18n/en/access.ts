const access = {
  title: "Access",
};

export default access;
