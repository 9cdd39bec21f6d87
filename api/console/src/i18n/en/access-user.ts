const accessUser = {
  title: "User",
};

export default accessUser;
